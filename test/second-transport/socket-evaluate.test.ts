import '../support/second-transport.ts';
import '../integration/socket-evaluate.test.ts';
