import '../support/second-transport.ts';
import '../integration/http-drain.test.ts';
