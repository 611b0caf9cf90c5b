import { Modal } from '@mantine/core';
import { useState } from 'react';
import type { SudoRule } from '../../server/api.ts';
import { RuleFields } from './rule-fields.tsx';

/** Makes a rule (`rule` null) or changes one. */
export function RuleDialog({ opened, rule, close }: { opened: boolean; rule: SudoRule | null; close: () => void }) {
  // Whatever was typed must not vanish with one click beside the dialog, or one key.
  const [dirty, setDirty] = useState(false);
  const [leaving, setLeaving] = useState(false);
  const leave = () => {
    setDirty(false);
    setLeaving(false);
    close();
  };
  return (
    <Modal
      opened={opened}
      onClose={() => (dirty ? setLeaving(true) : leave())}
      title={rule ? `Rule ${rule.name}` : 'New rule'}
      size="xl"
      centered
    >
      {opened && (
        <RuleFields
          key={rule?.id ?? 'new'}
          base={rule}
          close={leave}
          changed={() => setDirty(true)}
          leaving={leaving}
          stay={() => setLeaving(false)}
        />
      )}
    </Modal>
  );
}
