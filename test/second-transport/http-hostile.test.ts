import '../support/second-transport.ts';
import '../integration/http-hostile.test.ts';
