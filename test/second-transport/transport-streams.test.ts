import '../support/second-transport.ts';
import '../unit/worker/transport/streams.test.ts';
