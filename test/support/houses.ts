// Which folder of src may import which; test/tidy.test.ts holds it.

export interface House {
  /** Folders of src, or files of it without `.ts`, that may be imported. A folder may always import itself. */
  readonly rooms: readonly string[];
  /** Packages of dependencies that may be imported. */
  readonly packages: readonly string[];
  /** False: not even `node:`. */
  readonly node: boolean;
}

const leaf: House = { rooms: [], packages: [], node: false };

// The arrows of the design: they point inwards, to core. A folder that is not named here fails the test, so that
// each new one is a decision.
export const houses: Readonly<Record<string, House>> = {
  errors: leaf,
  'core-limits': { ...leaf, rooms: ['core'] },
  'socket-limits': { ...leaf, rooms: ['core-limits'] },
  'load-limits': { ...leaf, rooms: ['core-limits'] },
  'redis-limits': { ...leaf, rooms: ['core-limits'] },
  'store-limits': { ...leaf, rooms: ['core-limits'] },
  limits: { ...leaf, rooms: ['core-limits', 'load-limits', 'redis-limits', 'socket-limits', 'store-limits'] },
  'redis-url': leaf,
  'build-info': { ...leaf, node: true },
  'cpu-quota': { ...leaf, node: true },
  'config-values': { rooms: ['core/network', 'limits', 'redis-url'], packages: [], node: true },
  tls: { rooms: ['config'], packages: [], node: true },
  'config-text': leaf,
  config: { rooms: ['config-text', 'config-values', 'cpu-quota', 'limits'], packages: [], node: true },
  core: { rooms: [], packages: ['re2js'], node: false },
  kernel: { rooms: ['core'], packages: [], node: true },
  snapshot: { rooms: ['core', 'limits'], packages: ['xxhash-wasm'], node: true },
  ipc: { rooms: ['core', 'errors', 'limits'], packages: [], node: true },
  api: { rooms: ['core', 'errors', 'limits'], packages: ['zod'], node: true },
  observe: { rooms: ['config', 'errors', 'ipc', 'limits'], packages: ['pino', 'prom-client'], node: true },
  run: { rooms: ['errors', 'limits'], packages: [], node: true },
  storage: {
    rooms: ['config', 'core', 'errors', 'ipc', 'limits', 'observe', 'redis-url', 'run/clock', 'run/seldom', 'snapshot'],
    packages: ['@electric-sql/pglite', 'ioredis', 'pg'],
    node: true,
  },
  primary: {
    rooms: [
      'api',
      'build-info',
      'config',
      'core',
      'errors',
      'ipc',
      'kernel',
      // The primary's end of the channel between the two.
      'launcher/channel',
      'limits',
      'observe',
      'run',
      'snapshot',
      'storage',
      'tls',
    ],
    packages: ['piscina'],
    node: true,
  },
  worker: {
    rooms: [
      'api',
      'build-info',
      'config',
      'core',
      'errors',
      'ipc',
      'kernel',
      'limits',
      'observe',
      'run',
      'snapshot',
      'tls',
    ],
    packages: ['swagger-ui-dist'],
    node: true,
  },
  launcher: { rooms: ['config', 'errors', 'observe', 'run', 'tls'], packages: [], node: true },
  cli: {
    rooms: [
      'build-info',
      'config',
      'config-values',
      'core',
      'errors',
      'ipc',
      'limits',
      'run',
      'snapshot',
      'storage',
      'tls',
    ],
    packages: [],
    node: true,
  },
  main: { rooms: ['build-info', 'cli', 'config', 'launcher', 'primary', 'run', 'worker'], packages: [], node: true },
};
