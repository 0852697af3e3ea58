// The flags as documents: read from the snapshot, changed by commands.
import type { CompiledFlag } from '../../core/compiled.ts';
import { createFlag } from '../../core/parse.ts';
import type { Call, KeyedHandlers } from '../http/call.ts';
import { notModified } from '../http/conditions.ts';
import { isRefusal, refuseIssues } from '../http/refusal.ts';
import { jsonReply } from '../http/reply.ts';
import type { RunCommand } from './commands.ts';
import { type DocumentList, listDocuments } from './document-list.ts';
import { findEnvironment, findFlag, isVisible } from './lookup.ts';

type FlagHandlers = Pick<
  KeyedHandlers,
  'listFlags' | 'getFlag' | 'createFlag' | 'replaceFlag' | 'patchFlag' | 'archiveFlag' | 'restoreFlag'
>;

export function createFlagHandlers(run: RunCommand): FlagHandlers {
  const addressed = (call: Call): { environment: string; flagId: string; ifMatch: Call['ifMatch'] } => ({
    environment: call.environment,
    flagId: call.parameters[0] ?? '',
    ifMatch: call.ifMatch,
  });
  return {
    listFlags: (call) => listDocuments(call, flagList),
    getFlag: (call) => (snapshot) => {
      const environment = findEnvironment(snapshot, call.environment);
      if (isRefusal(environment)) return environment;
      const flag = findFlag(environment, call.parameters[0] ?? '', call.key);
      if (isRefusal(flag)) return flag;
      const tag = `"${flag.version}"`;
      return notModified(call.request, tag) ?? jsonReply(200, flag.json, [['ETag', tag]]);
    },
    createFlag: (call) => {
      // Judged here too: what is malformed is told before the environment in a body, and with the primary away.
      const parsed = createFlag(call.body, call.environment);
      if (!parsed.ok && parsed.code === 'INVALID_REQUEST') return refuseIssues(parsed.issues);
      return () => run(call, { type: 'flag.create', environment: call.environment, body: call.body });
    },
    replaceFlag: (call) => () => run(call, { type: 'flag.replace', ...addressed(call), body: call.body }),
    patchFlag: (call) => () => run(call, { type: 'flag.patch', ...addressed(call), body: call.body }),
    archiveFlag: (call) => () => run(call, { type: 'flag.archive', ...addressed(call) }),
    restoreFlag: (call) => () => run(call, { type: 'flag.restore', ...addressed(call) }),
  };
}

const flagList: DocumentList<CompiledFlag> = {
  member: 'flags',
  searches: ['tag', 'q'],
  documents: ({ flags }) => flags,
  isWanted(flag, { key, query }) {
    const tag = query.values.get('tag');
    return isVisible(key, flag) && (tag === undefined || flag.tags.includes(tag));
  },
};
