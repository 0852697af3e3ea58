import '../support/second-transport.ts';
import '../unit/worker/transport/node.test.ts';
