// What an operator deploys, checked without Docker and without a cluster: by the published schemas, by the programs that
// will read it, and against what the service really has. That it works is shown by `npm run topology`.
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Test, test } from 'tap';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config.ts';
import { metricsMarkdown } from '../../src/observe/metrics.ts';
import { preparePython } from '../support/python.ts';
import { prepareRedis } from '../support/redis.ts';
import { freePort } from '../support/service.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const onCi = process.env['CI'] === 'true';
// biome-ignore lint/suspicious/noExplicitAny: files of other programs
type Parsed = any;
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const compose: Parsed = parse(read('docker-compose.yml'), { merge: true });
const KUBERNETES = readdirSync(join(root, 'deploy/kubernetes')).filter((name) => name !== 'kustomization.yaml');
const manifests: Parsed[] = KUBERNETES.map((name) => parse(read(`deploy/kubernetes/${name}`)));
const dashboard: Parsed = JSON.parse(read('deploy/grafana/dashboards/burgee.json'));
const rules: Parsed[] = parse(read('deploy/prometheus/alerts.yml')).groups.flatMap((group: Parsed) => group.rules);
const MINUTE_MS = 60_000;

const lint = preparePython(join(root, 'test/integration/fixtures/deploy-requirements.txt'));
test('schemas and yamllint find nothing', { skip: 'missing' in lint && !onCi ? lint.missing : false }, (t) => {
  if ('missing' in lint) throw new Error(lint.missing);
  const program = (name: string): string => join(lint.python, '..', name);
  holds(t, program('check-jsonschema'), ['--builtin-schema', 'vendor.compose-spec', 'docker-compose.yml']);
  holds(t, program('kubernetes-validate'), ['--strict', ...KUBERNETES.map((name) => `deploy/kubernetes/${name}`)]);
  holds(t, program('yamllint'), ['--strict', '-c', 'deploy/yamllint.yml', 'docker-compose.yml', 'deploy']);
  t.end();
});

test('haproxy takes its file', { skip: lacks('haproxy') }, (t) => {
  const here = { NODE_A: '127.0.0.1:8001', NODE_B: '127.0.0.1:8002', BIND: '127.0.0.1:8000' };
  holds(t, 'haproxy', ['-c', '-f', 'deploy/haproxy/haproxy.cfg'], here);
  t.end();
});

test('promtool takes the configuration, the alarms and their tests, and what the dashboard asks', {
  skip: lacks('promtool'),
}, (t) => {
  holds(t, 'promtool', ['check', 'config', 'deploy/prometheus/prometheus.yml']);
  holds(t, 'promtool', ['test', 'rules', 'test/integration/fixtures/alerts.test.yml']);
  const asked = join(t.testdir(), 'asked.yml');
  const recorded = dashboardQueries().map((expr, i) => ({ record: `asked:${i}`, expr }));
  writeFileSync(asked, JSON.stringify({ groups: [{ name: 'dashboard', rules: recorded }] }));
  holds(t, 'promtool', ['check', 'rules', asked]);
  t.end();
});

test('alarms and dashboard ask only for metrics that exist, and every alarm is explained', (t) => {
  const exists = new Set([...metricsMarkdown().matchAll(/`(burgee_\w+)`/g)].map(([, name]) => `${name}`));
  const queries = [...dashboardQueries(), ...rules.map(({ expr }) => `${expr}`)];
  const asked = new Set(queries.flatMap((query) => query.match(/\bburgee_\w+/g) ?? []));
  t.ok(asked.size > 25, `${asked.size} metrics`);
  for (const name of asked) t.ok(exists.has(name.replace(/_(?:bucket|sum|count)$/, '')), `${name} exists`);
  const page = read('docs/operations.md');
  const explained = [...page.matchAll(/^\| `((?:Burgee|Proxy)\w+)` \|/gm)].map(([, name]) => name);
  t.same(rules.map(({ alert }) => alert).sort(), explained.sort(), 'the table of alarms has each, and no other');
  t.end();
});

test('the compose file has no password, pins what it runs and confines it', (t) => {
  const text = read('docker-compose.yml');
  for (const [line] of text.matchAll(/^.*(?:PASSWORD|ADMIN_KEY|requirepass).*$/gm))
    t.notMatch(
      line.replaceAll(/\$\{\w+:\?[^}]*\}|\$\$\w+|\$\$\{\w+\}/g, ''),
      /PASSWORD: *\S|KEY: *\S|requirepass \S/,
      line,
    );
  for (const [name, service] of Object.entries<Parsed>(compose.services)) {
    t.match(service.image, /:v?\d+\.\d+(\.\d+)?(-\w+)?$/, `${name} is pinned`);
    t.equal(service.read_only, true, `${name} has a read-only root`);
    t.match(service.user, /^[1-9]\d*:\d+$/, `${name} is not root`);
    t.same(service.cap_drop, ['ALL'], name);
    const { cpus, memory, pids } = service.deploy.resources.limits;
    t.ok(cpus && memory && pids, `${name} is limited`);
    t.ok(service.healthcheck !== undefined || service.build === '.', `${name} is looked at`);
    for (const port of service.ports ?? []) t.match(port, /^(?:127\.0\.0\.1|\$\{BIND_ADDRESS:-127\.0\.0\.1\}):/, name);
  }
  t.end();
});

test('the nodes of the compose file and of Kubernetes have variables that the service takes, and time to drain', (t) => {
  const secrets = {
    DATABASE_URL: 'postgres://burgee:secret@postgres:5432/burgee',
    REDIS_URL: 'redis://:secret@redis:6379/0',
    BOOTSTRAP_ADMIN_KEY: 'x'.repeat(48),
  };
  const inCompose = compose.services['burgee-a'];
  const ofCompose = loadConfig({ ...inCompose.environment, ...secrets });
  t.ok(seconds(inCompose.stop_grace_period) * 1000 > ofCompose.shutdownTimeoutMs + 2000);
  t.same(ofCompose.trustProxy, [`${compose.services.proxy.networks.back.ipv4_address}/32`]);
  const pod = manifests.find(({ kind }) => kind === 'Deployment').spec.template.spec;
  const [container] = pod.containers;
  const given = container.env.map(({ name, value }: Parsed) => [name, value]);
  const ofPod = loadConfig({ ...Object.fromEntries(given), ...secrets });
  t.ok(pod.terminationGracePeriodSeconds * 1000 > ofPod.shutdownTimeoutMs + 2000);
  const { periodSeconds, failureThreshold, timeoutSeconds } = container.readinessProbe;
  t.ok(ofPod.drainDelayMs > (periodSeconds * failureThreshold + timeoutSeconds) * 1000);
  t.same(pod.securityContext.runAsUser, 1000, 'as in the Dockerfile');
  for (const names of [Object.keys(inCompose.environment), given.map(([name]: [string]) => name)])
    for (const name of names) t.match(read('.env.example'), new RegExp(`^#? ?${name}=`, 'm'), `${name} is a variable`);
  const { version } = JSON.parse(read('package.json'));
  t.equal(inCompose.image, `burgee:${version}`);
  t.equal(parse(read('deploy/kubernetes/kustomization.yaml')).images[0].newTag, version);
  t.end();
});

test('Redis starts as the compose file starts it, and asks for the password', {
  skip: !onCi && (prepareRedis()?.missing ?? false),
}, async (t) => {
  const [shell, flag, script] = compose.services.redis.command as [string, string, string];
  const port = String(await freePort());
  const args = [
    flag,
    script.replaceAll('$$', '$').replace('redis-server -', `redis-server - --port ${port} --bind 127.0.0.1`),
  ];
  const env = { PATH: process.env['PATH'], REDIS_PASSWORD: 'only-for-tests' };
  const server = spawn(shell, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => server.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    server.once('exit', (code) => reject(new Error(`it ended with ${code}`)));
    server.stdout.on('data', (chunk) => /Ready to accept/.test(`${chunk}`) && resolve());
  });
  const check = (compose.services.redis.healthcheck.test[3] as string)
    .replaceAll('$$', '$')
    .replace('ping', `-p ${port} ping`);
  t.equal(spawnSync('sh', ['-c', check], { env }).status, 0);
  t.not(spawnSync('sh', ['-c', check], { env: { ...env, REDIS_PASSWORD: 'another' } }).status, 0);
  const commandLine = readFileSync(`/proc/${server.pid}/cmdline`, 'latin1');
  t.match(commandLine, /^redis-server/);
  t.notMatch(commandLine, 'only-for-tests');
});

/** Runs a program from the root folder; its exit code must be 0. */
function holds(t: Test, program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  const options = { cwd: root, encoding: 'utf8', timeout: MINUTE_MS, env: { ...process.env, ...env } } as const;
  const { status, stdout, stderr, error } = spawnSync(program, args, options);
  t.equal(status, 0, `${program.split('/').at(-1)} ${args.slice(0, 3).join(' ')}`, { stdout, stderr, error });
}

/** Why a program's test is skipped; on CI it never is. */
function lacks(program: string): string | false {
  return !onCi && spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0 && `there is no ${program}`;
}

/** What the dashboard's panels ask, with Grafana's variables filled in. */
function dashboardQueries(): string[] {
  return dashboard.panels
    .flatMap(({ targets = [] }: Parsed) => targets.map(({ expr }: Parsed) => expr as string))
    .map((expr: string) => expr.replaceAll('$__rate_interval', '1m').replaceAll('$node', '.*'));
}

function seconds(text: string): number {
  return Number(/^(\d+)s$/.exec(text)?.[1]);
}
