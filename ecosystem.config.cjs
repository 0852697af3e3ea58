// PM2 runs the launcher, and the launcher runs everything else: one instance, in fork mode, whatever the number of
// cores (WORKERS says that). From any folder: `pm2 start /path/to/ecosystem.config.cjs`. A new build, or a new
// certificate, without a failed request on kept connections: `pm2 sendSignal SIGHUP burgee`. `pm2 reload` is a restart in
// fork mode: it answers what was asked, and then nobody listens for a second or two. See deploy/README.md.
const { existsSync, realpathSync } = require('node:fs');
const { dirname, join } = require('node:path');

const home = releaseLink(__dirname) ?? __dirname;

module.exports = {
  apps: [
    {
      name: 'burgee',
      script: join(home, 'dist', 'main.js'),
      // Not the release itself: that is deleted one day while the service runs on. Here ./data and .env lie too.
      cwd: home === __dirname ? __dirname : dirname(home),
      exec_mode: 'fork',
      instances: 1,
      watch: false,

      // Online once every worker holds a verified snapshot. A first start makes the database, on a small machine in
      // several seconds; past listen_timeout PM2 would say "online" all the same.
      wait_ready: true,
      listen_timeout: 60_000,
      // PM2 sends SIGINT, which drains (so does SIGTERM). More than SHUTDOWN_TIMEOUT_MS (25,000) and the few seconds in
      // which the launcher ends by itself what did not; raise both together.
      kill_timeout: 30_000,
      // PM2 would signal the launcher's children too. They are the launcher's business: it drains them in order, and
      // when it dies the workers are to serve on until the next launcher adopts them.
      treekill: false,

      // 0.1 s after the first death, up to 15 s between starts that fail: a database or a disk that is away comes back.
      exp_backoff_restart_delay: 100,
      // 2: the configuration is wrong; 3: port or DATA_DIR belong to another service. Starting again cures neither.
      // (PM2 then shows "waiting restart", but does not: the reason is the last line of `pm2 logs burgee`.)
      stop_exit_codes: [2, 3],
      // No max_memory_restart: PM2 sees the launcher's memory alone, which never grows.

      // Nothing of PM2 inside the service: no probes, no source maps on the way of each error, no Git queries.
      pmx: false,
      disable_source_map_support: true,
      vizion: false,

      env: {
        // Every variable, with its default: .env.example, or `node dist/main.js --help`. Changed here they hold once
        // the app is deleted and started again (deploy/README.md); SIGHUP keeps those that the launcher was started with.
        NODE_ENV: 'production',
        // PORT: 8000,
        // WORKERS: 4,
        // DATA_DIR: '/var/lib/burgee',
        // METRICS_PORT: 9464,
        // BOOTSTRAP_ADMIN_KEY: better in PM2's own environment than in a file; it is needed for the first start only.
      },
    },
  ],
};

/**
 * Releases side by side: in <base>/releases/<version>, with <base>/current a link to the one that is to run. Node
 * resolves links when it loads this file, but a launcher that is to find a new build must know the link.
 */
function releaseLink(release) {
  const link = join(release, '..', '..', 'current');
  return existsSync(link) && realpathSync(link) === realpathSync(release) ? link : undefined;
}
