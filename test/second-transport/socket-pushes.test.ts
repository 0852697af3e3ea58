import '../support/second-transport.ts';
import '../integration/socket-pushes.test.ts';
