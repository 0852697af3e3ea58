import '../support/second-transport.ts';
import '../integration/socket-life.test.ts';
