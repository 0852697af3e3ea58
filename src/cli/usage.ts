// What the burgee command takes, for --help and for whoever mistyped it. Apart, so that --help loads nothing else.
export const USAGE = `burgee                                  run the service (settings: burgee --help)
burgee check                            say whether it could run: settings and parts; opens and writes nothing
burgee keys create [options]            make an API key and show it once
    --name NAME                           what it is for (default "cli")
    --scopes evaluate,read,write,admin    (default admin)
    --environments prod,staging           (default all)
    --tags checkout,search                only flags that carry one of them (default all)
    --rate-limit N                        requests a minute, 0 for none (default: none for admin, else 1000)
    --expires-at 2027-01-01T00:00:00Z     (default never)
    --hash SHA256                         store this lower-case hex SHA-256 of a key you made, and show nothing
burgee keys list
burgee keys revoke KEY_ID

burgee keys works on DATA_DIR (default ./data), beside the running service or without it.

Signals to the launcher, whose pid is the first word of DATA_DIR/run/launcher.pid (npm passes on all but SIGHUP):
    SIGTERM, SIGINT   answer what has begun, for at most SHUTDOWN_TIMEOUT_MS, and end; a second one, a second later,
                      ends everything at once
    SIGHUP            hand the service over to the build that the path of dist/main.js leads to now, and to renewed
                      certificates, without a failed request on kept connections, but for writes, which are refused for
                      a moment; \`burgee check\` must pass for it. The variables stay those that the process was started
                      with: for other settings restart it
`;
