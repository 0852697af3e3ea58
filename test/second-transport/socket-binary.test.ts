import '../support/second-transport.ts';
import '../integration/socket-binary.test.ts';
