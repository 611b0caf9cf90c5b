import { Stack, Text } from '@mantine/core';
import { MarkedText } from '../../kit/command-text.tsx';
import { DialogDone, formDialog } from '../../kit/form-dialog.tsx';
import { Ago } from '../../kit/times.tsx';
import type { Host } from '../../server/api.ts';
import { plural } from '../../words/text.ts';

/** What an operator should know about a host at a glance; null: nothing. */
export function remarkOf({ report, reportDue, state, certificate, checks }: Host): string | null {
  if (state !== 'active') return null;
  if (certificate?.state === 'ended') return 'Its certificate has ended: the directory refuses it';
  if (certificate?.state === 'ends_soon')
    return `Its certificate ends on ${new Date(certificate.until).toISOString().slice(0, 10)}, and was not renewed`;
  if (checks !== null && checks.problems > 0) return `${plural(checks.problems, 'problem')} found by its doctor`;
  if (reportDue === 1) return 'The directory waits for its first report';
  if (reportDue === 2) return 'The directory waits for your answer';
  return report !== null && report.drift.length > 0
    ? `${plural(report.drift.length, 'finding')} at its sudo gate`
    : null;
}

/** Whether a host has said anything that is worth a look. */
export const hasReport = ({ report }: Host): boolean =>
  report !== null && report.count + report.unread + report.drift.length > 0;

/** Who has power on a host by files of its own, and what is odd at its gate, in the host's words. */
export function HostReport({ host: { hostname, report } }: { host: Host }) {
  if (report === null) return null;
  return (
    <Stack gap="md">
      <Text size="sm">
        <strong>{hostname}</strong> said this <Ago at={report.at} />. It is what its files say, not what identree gave.
      </Text>
      {report.drift.length > 0 && (
        <div>
          <Text size="sm" fw={600} mb="xs">
            Its sudo gate is not as setup left it
          </Text>
          <ul className="plain-list member-list">
            {report.drift.map((line) => (
              <li key={line}>
                <MarkedText text={line} />
              </li>
            ))}
          </ul>
        </div>
      )}
      {report.count > 0 && (
        <div>
          <Text size="sm" fw={600} mb="xs">
            Names that have power there
          </Text>
          <ul className="plain-list member-list">
            {report.grants.map((grant) => (
              <li key={JSON.stringify(grant)}>
                <strong>
                  <MarkedText text={`${grant.type} ${grant.name}`} />
                </strong>
                : <MarkedText text={grant.gives} />{' '}
                <span className="subject">
                  {grant.file}
                  {grant.line !== null && `:${grant.line}`}
                </span>
              </li>
            ))}
            {report.count > report.grants.length && (
              <li className="said">and {report.count - report.grants.length} more</li>
            )}
          </ul>
        </div>
      )}
      {(report.unread > 0 || report.cut) && (
        <Text size="sm" c="dimmed">
          {report.unread > 0 &&
            `${plural(report.unread, 'place')} could not be read; identree doctor on the host names them. `}
          {report.cut && 'There is more than a report holds.'}
        </Text>
      )}
    </Stack>
  );
}

export const HostReportDialog = formDialog<Host>(
  'What this host says of itself',
  function HostReportForm({ about, close }) {
    return (
      <Stack gap="md">
        <HostReport host={about} />
        <DialogDone close={close} />
      </Stack>
    );
  },
  'lg',
);
