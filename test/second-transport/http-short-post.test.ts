import '../support/second-transport.ts';
import '../integration/http-short-post.test.ts';
