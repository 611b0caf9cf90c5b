import { Fragment } from 'react';
import { MarkedText } from '../kit/command-text.tsx';
import { differences, type RuleRow } from '../words/rules.ts';

function Values({ row }: { row: RuleRow | null }) {
  if (row === null) return <span className="said">nothing</span>;
  if (row.said) return <span className="said">{row.values[0]}</span>;
  return (
    <ul className="plain-list values">
      {[...new Set(row.values)].map((value) => (
        <li key={value}>
          <code>
            <MarkedText text={value} />
          </code>
        </li>
      ))}
    </ul>
  );
}

/** What a sudo rule says, line by line. */
export function RuleRows({ rows }: { rows: readonly RuleRow[] }) {
  return (
    <dl className="facts compact">
      {rows.map((row) => (
        <Fragment key={row.label}>
          <dt>{row.label}</dt>
          <dd>
            <Values row={row} />
          </dd>
        </Fragment>
      ))}
    </dl>
  );
}

/** Two versions of a sudo rule: what is the same once, what differs twice. */
export function RuleDifference({
  before,
  after,
  names = ['Before', 'After'],
}: {
  before: readonly RuleRow[];
  after: readonly RuleRow[];
  names?: readonly [string, string];
}) {
  return (
    <dl className="facts compact">
      {differences(before, after).map((row) => (
        <Fragment key={row.label}>
          <dt>{row.label}</dt>
          <dd>
            {row.same ? (
              <Values row={row.after} />
            ) : (
              <dl className="versions">
                <dt>{names[0]}</dt>
                <dd>
                  <Values row={row.before} />
                </dd>
                <dt>{names[1]}</dt>
                <dd>
                  <Values row={row.after} />
                </dd>
              </dl>
            )}
          </dd>
        </Fragment>
      ))}
    </dl>
  );
}
