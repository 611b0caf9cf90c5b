import { ActionIcon, CopyButton, Tooltip } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';

/** One line to copy: a command, a token, a fingerprint. */
export function CopyLine({ text, label }: { text: string; label: string }) {
  return (
    <div className="copy-line">
      <code>
        {text.split(/( +)/).map((part, i) =>
          part.trim() === '' ? (
            part
          ) : (
            // biome-ignore lint/suspicious/noArrayIndexKey: a text is shown whole or not at all.
            <span key={i} className="word">
              {part}
            </span>
          ),
        )}
      </code>
      <CopyButton value={text} timeout={2000}>
        {({ copied, copy }) => (
          <Tooltip label={copied ? 'Copied' : label} withArrow>
            <ActionIcon
              variant="subtle"
              size="lg"
              color={copied ? 'green' : undefined}
              aria-label={copied ? 'Copied' : label}
              onClick={copy}
            >
              {copied ? <IconCheck size={18} /> : <IconCopy size={18} />}
            </ActionIcon>
          </Tooltip>
        )}
      </CopyButton>
    </div>
  );
}
