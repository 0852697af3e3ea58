import '../support/second-transport.ts';
import '../integration/http-ofrep-stream.test.ts';
