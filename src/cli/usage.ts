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

burgee migrate [--dry-run]              bring the schema of the store to this version's; --dry-run only says what is missing.
                                        Prints the names of the files, nothing when there is nothing to do
burgee store copy [options]             copy a whole store, with history, keys and revision, into an empty PostgreSQL
    --to postgres://...                   (default DATABASE_URL)
    --from postgres://...                 (default the embedded database of DATA_DIR, with no service running on it)
burgee store accept [options]           take a store that went back (STORE_WENT_BACK) as it is: nodes write again
    --above N                             no node is told an older revision than N (default: what is known here)
    --force                               also when nothing known here is above the store
burgee store status                     revision, migrations, counts and size of the store

All work on the store that the variables name: PostgreSQL with DATABASE_URL, else the embedded database of DATA_DIR (default
./data). keys and store accept go through the service that runs on DATA_DIR, whatever its store is, and do without one;
the others work beside a service on PostgreSQL, and without one on the embedded database. Exit codes: 0 done, 1 refused or
failed, 2 not understood, 3 a service runs there. A password can be left out of a URL and given as PGPASSWORD.

Signals to the launcher, whose pid is the first word of DATA_DIR/run/launcher.pid (npm passes on all but SIGHUP):
    SIGTERM, SIGINT   answer what has begun, for at most SHUTDOWN_TIMEOUT_MS, and end; a second one, a second later,
                      ends everything at once
    SIGHUP            hand the service over to the build that the path of dist/main.js leads to now, and to renewed
                      certificates, without a failed request on kept connections, but for writes, which are refused for
                      a moment; \`burgee check\` must pass for it. The variables stay those that the process was started
                      with: for other settings restart it
`;
