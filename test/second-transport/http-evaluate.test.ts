import '../support/second-transport.ts';
import '../integration/http-evaluate.test.ts';
