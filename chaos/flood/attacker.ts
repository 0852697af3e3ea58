// One attack in a process of its own, so that it takes no time from the clients that are measured: told what to do by
// its first message, and to stop by the next, upon which it tells what it did and ends.
import { type Attack, type AttackKind, type AttackOptions, startAttack } from '../../test/support/attacks.ts';

let attack: Attack | undefined;

process.on('message', (message: { readonly kind: AttackKind; readonly options: AttackOptions } | 'stop') => {
  if (message !== 'stop') {
    attack = startAttack(message.kind, message.options);
    return;
  }
  attack?.stop();
  process.send?.(attack?.record, () => process.exit(0));
});
process.on('disconnect', () => process.exit(0));
