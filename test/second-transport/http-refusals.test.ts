import '../support/second-transport.ts';
import '../integration/http-refusals.test.ts';
