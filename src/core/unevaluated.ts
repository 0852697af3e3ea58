// The one place that says what this version parses but does not evaluate yet. Serving the rollout to users whom a rule
// singles out would be a wrong answer, so such a document is refused; deleting this file lets it in.
import { report } from './issues.ts';
import type { FlagDefinition, Issue } from './model.ts';

/** Reports what a valid definition has and this version cannot evaluate. */
export function reportUnevaluated(issues: Issue[], definition: Pick<FlagDefinition, 'rules' | 'prerequisites'>): void {
  if (definition.rules.length > 0)
    report(issues, 'rules', 'targeting rules are not evaluated by this version; rules must be empty');
  if (definition.prerequisites.length > 0) {
    report(issues, 'prerequisites', 'targeting rules are not evaluated by this version; prerequisites must be empty');
  }
}
