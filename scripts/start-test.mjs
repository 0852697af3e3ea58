// What tap starts each test file with (NODE_OPTIONS in .taprc): TypeScript by run-typescript.mjs, which keeps what it has
// compiled, in place of tap's own loaders. Those load the compiler into each of the test processes and then put
// a recorder of loaded files, with a thread of its own, into every process that a test starts: a second of CPU for each
// test file, 0.1 s for each process of a service. They are for mocks, coverage and --changed, none of which is used here.
// Where tap no longer does as is assumed here, tests run as before, only slower.
import Module from 'node:module';
import { isMainThread } from 'node:worker_threads';

// Before any loader is there: each module that is loaded after it goes through another thread.
if (isMainThread) await import('tap');
await import('./run-typescript.mjs');

const { register } = Module;
Module.register = (specifier, ...rest) => {
  if (!/\/node_modules\/@(tapjs|isaacs)\//.test(String(specifier))) register(specifier, ...rest);
};
Module.syncBuiltinESMExports();
// Asks @tapjs/typescript for no loader.
process.env.TAP_TYPE_STRIP_ONLY = '1';
// Asks @tapjs/processinfo to record nothing, and so not to follow into child processes.
process.env.__TAPJS_PROCESSINFO_TESTING_NO_REGISTER__ = String(process.pid);
// Processes that a test starts are started as a user would.
delete process.env.NODE_OPTIONS;
