import type { NotableKind } from '#shared/decision.ts';
import { notableVariables } from '#shared/request-risk.ts';
import { MarkedText } from '../kit/command-text.tsx';
import type { Request } from '../server/api.ts';
import { plural } from '../words/text.ts';

const WHAT_IT_DOES: Record<NotableKind, string> = {
  loader: 'loads code from there into the command',
  interpreter: 'can make an interpreter such as Python or Perl run other code',
  editor: 'runs when the command opens an editor',
  pager: 'runs when the command shows long text',
  path: 'decides which programs or files the command finds',
  shell: 'can make a shell run other commands',
};

/** Variables that can make the command run something else, each with what it does. */
export function NotableEnvironment({ request }: { request: Request }) {
  const variables = notableVariables(request.record);
  if (variables.length === 0) return null;
  return (
    <section className="notable" aria-label="Environment">
      <strong>The environment can change what runs</strong>
      <ul>
        {variables.map(({ name, value, kind }, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a name may stand there twice, and the list never changes.
          <li key={i}>
            <code>
              <MarkedText text={`${name}=${value}`} />
            </code>{' '}
            {WHAT_IT_DOES[kind]}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** The environment by names, on demand. */
export function EnvironmentNames({ names, truncated }: { names: readonly string[]; truncated: boolean }) {
  return (
    <details>
      <summary>
        {plural(names.length, 'variable')}
        {truncated && ', and more that the host does not name'}
      </summary>
      <span className="name-cloud">
        {names.map((name, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: as above.
          <code key={i}>
            <MarkedText text={name} />
          </code>
        ))}
      </span>
    </details>
  );
}
