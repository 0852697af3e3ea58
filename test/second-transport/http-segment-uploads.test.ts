import '../support/second-transport.ts';
import '../integration/http-segment-uploads.test.ts';
