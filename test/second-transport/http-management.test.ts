import '../support/second-transport.ts';
import '../integration/http-management.test.ts';
