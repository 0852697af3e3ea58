// A running service with the flags that OFREP's published clients are measured on.
import { ofrepFlags } from '../integration/fixtures/ofrep-flags.ts';
import { flagWith, type Service, startService } from './service.ts';

export interface OfrepService {
  readonly service: Service;
  /** A key that may only evaluate. */
  readonly key: string;
  /** Makes another key. */
  newKey(settings: object): Promise<string>;
  /** Changes a flag of prod. */
  patch(flagId: string, body: object): Promise<void>;
}

export async function startOfrepService(): Promise<OfrepService> {
  const service = await startService();
  for (const flag of ofrepFlags) await flagWith(service, flag);
  await flagWith(service, { flag_id: 'boolean', environment: 'dev', enabled: true, rollout_percentage: 0 });
  async function newKey(settings: object): Promise<string> {
    const json = { name: 'ofrep', scopes: ['evaluate'], rate_limit: 0, ...settings };
    const made = await service.api('/api/v1/keys', { method: 'POST', json });
    if (made.status !== 201) throw new Error(JSON.stringify(made.body));
    return made.body.key as string;
  }
  return {
    service,
    key: await newKey({}),
    newKey,
    async patch(flagId, json) {
      const changed = await service.api(`/api/v1/flags/${flagId}`, { method: 'PATCH', json });
      if (changed.status !== 200) throw new Error(JSON.stringify(changed.body));
    },
  };
}
