// HTTPS as an operator has it: the greeting's lines work, a broken pair is refused before anything is touched, and a
// renewed certificate is taken without a failed request.
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { type Test, test } from 'tap';
import { makeCertificate, type PairFiles, putCertificate, writeCertificate } from '../support/certificate.ts';
import { askSecurely } from '../support/https.ts';
import { startLoad } from '../support/load.ts';
import { ADMIN_KEY, alive, freePort, runToEnd, startService } from '../support/service.ts';

const run = promisify(execFile);

test('a service over TLS, and its certificate renewed under load', async (t) => {
  const files = filesOf(t);
  const renewed = makeCertificate();
  const metricsPort = await freePort();
  const env = { TLS_CERT_FILE: files.certFile, TLS_KEY_FILE: files.keyFile, METRICS_PORT: String(metricsPort) };
  const service = await startService({ workers: 2, env });
  t.teardown(() => service.stop());
  const ca = files.certPem + renewed.certPem;
  const serial = async (): Promise<string> =>
    (await askSecurely({ port: service.port, path: '/livez', ca })).serialNumber;

  await t.test('the lines of the greeting work as printed', async (t) => {
    t.match(service.output(), `Burgee answers at https://127.0.0.1:${service.port} with 2 workers`);
    const lines = service.output().match(/^ {2}curl .*$/gm) ?? [];
    t.equal(lines.length, 2);
    for (const line of lines) {
      const { stdout } = await run('sh', ['-c', line.replaceAll('YOUR_KEY', ADMIN_KEY)]);
      t.match(JSON.parse(stdout), { flag_id: 'hello' });
    }
  });

  await t.test('the port of metrics stays plain, and tells when the certificate expires', async (t) => {
    const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    const [, expiry] = /^burgee_worker_tls_expiry_timestamp_seconds\{[^}]*\} (\d+)$/m.exec(text) ?? [];
    t.ok(Math.abs(Number(expiry) - Date.now() / 1000 - 30 * 86_400) < 3600, String(expiry));
  });

  const path = '/api/v1/flags/hello/evaluate?user_id=u1';
  const load = startLoad({ port: service.port, connections: 8, path, key: ADMIN_KEY, ca, thinkMs: 1 });
  await load.answered(100);
  const before = service.workerPids();

  await t.test('with a broken pair SIGHUP changes nothing and says why', async (t) => {
    // Half of a renewal.
    putCertificate(files, { ...renewed, keyPem: files.keyPem });
    service.launcher.kill('SIGHUP');
    while (!service.output().includes('fails its check')) await load.answered(1);
    t.match(service.output(), /TLS_KEY_FILE .* does not fit TLS_CERT_FILE/);
    t.same(service.workerPids(), before);
    t.equal(await serial(), files.serialNumber);
  });

  await t.test('with the new pair SIGHUP renews it for whoever connects', async (t) => {
    putCertificate(files, renewed);
    service.launcher.kill('SIGHUP');
    while (before.some(alive)) await load.answered(1);
    await load.answered(100);
    for (let i = 0; i < 10; i++) t.equal(await serial(), renewed.serialNumber);
    t.notOk(service.workerPids().some((pid) => before.includes(pid)));
  });

  const { failed, reasons, requests } = await load.stop();
  t.equal(failed, 0, reasons.join());
  t.comment(`${requests} requests`);
});

test('a wrong pair is refused at the start and by a check, by name', async (t) => {
  const files = filesOf(t);
  const other = makeCertificate();
  const env = { TLS_CERT_FILE: files.certFile, TLS_KEY_FILE: files.keyFile, DATA_DIR: t.testdir({}), PORT: '1' };
  const good = await runToEnd(['check'], env);
  t.equal(good.code, 0);
  t.match(good.stdout, `HTTPS, certificate ${files.serialNumber} until`);
  putCertificate(files, { ...files, keyPem: other.keyPem });
  for (const args of [[], ['check']]) {
    const { code, stderr } = await runToEnd(args, env);
    t.equal(code, 2);
    t.match(stderr, /^burgee: The configuration is wrong\.\n {2}TLS_KEY_FILE \(".*"\) does not fit TLS_CERT_FILE/);
  }
});

function filesOf(t: Test): PairFiles {
  const files = writeCertificate();
  t.teardown(() => rmSync(dirname(files.certFile), { recursive: true }));
  return files;
}
