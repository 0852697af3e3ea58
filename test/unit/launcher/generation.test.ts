import { test } from 'tap';
import { loadConfig } from '../../../src/config.ts';
import { generationName, hashConfig } from '../../../src/launcher/generation.ts';

const hash = (env: Record<string, string>, certificate?: string): string => hashConfig(loadConfig(env), certificate);

test('a generation tells settings, certificates and signals apart, and knows no secret', async (t) => {
  const plain = hash({ WORKERS: '2' });
  t.match(plain, /^[0-9a-f]{12}$/);
  t.equal(hash({ WORKERS: '2', PORT: '8000', ACCESS_LOG: '' }), plain, 'a default that is written out is the same');
  t.equal(hash({ WORKERS: '2', BOOTSTRAP_ADMIN_KEY: 'k'.repeat(40) }), plain);
  t.not(hash({ WORKERS: '3' }), plain);
  t.not(hash({ WORKERS: '2', LOG_LEVEL: 'debug' }), plain);
  t.not(hash({ WORKERS: '2' }, '0A'), plain);
  t.equal(generationName(plain, 3), `${plain}-3`);
});
