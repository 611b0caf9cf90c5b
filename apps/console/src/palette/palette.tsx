import { ActionIcon, Modal, UnstyledButton } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useEffect, useState } from 'react';
import { type ConsolePath, CONSOLE_LOCALE as locale } from '#shared/console.ts';
import { t } from '#shared/messages.ts';
import { desktop } from '../bridge.ts';
import type { Unreadable } from '../kit/arrange.ts';
import { navigate } from '../router.tsx';
import { useMe } from '../server/me.ts';
import { signOut } from '../sign-out.ts';
import { Chooser } from './chooser.tsx';
import { type PaletteAct, paletteEntries, type ServerEntry, type WaitingEntry } from './entries.ts';
import { isPaletteKey, PALETTE_ARIA_KEYS, paletteKeys } from './shortcut.ts';

/** Keys that are typed while a dialog fades would reach nobody. */
const AT_ONCE = { duration: 0 } as const;
const CLASSES = { content: 'palette' } as const;

/** The servers of the desktop app that are not the one of this window; none in a browser. */
function useOtherServers(opened: boolean): readonly ServerEntry[] {
  const [servers, setServers] = useState<readonly ServerEntry[]>([]);
  useEffect(() => {
    if (!opened || !desktop) return;
    let wanted = true;
    desktop.otherServers().then(
      (found) => wanted && setServers(found),
      () => wanted && setServers([]),
    );
    return () => {
      wanted = false;
    };
  }, [opened]);
  return servers;
}

/** Opens the palette by its shortcut, unless a dialog is open: what is typed or decided there comes first. */
function usePaletteKey(open: () => void, close: () => void, opened: boolean): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!isPaletteKey(event)) return;
      // The browser's own search would take the key otherwise, also where nothing opens.
      event.preventDefault();
      if (event.repeat) return;
      if (opened) close();
      else if (!document.querySelector('[role="dialog"]')) open();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [open, close, opened]);
}

/** Opens the palette for those who do not know its shortcut. `compact`: the sign alone. */
export function PaletteButton({ open, compact = false }: { open: () => void; compact?: boolean }) {
  const icon = <IconSearch size={compact ? 22 : 18} stroke={1.75} aria-hidden="true" />;
  if (compact) {
    return (
      <ActionIcon variant="subtle" color="gray" size="lg" aria-label={t('palette.open', {}, locale)} onClick={open}>
        {icon}
      </ActionIcon>
    );
  }
  return (
    <UnstyledButton className="palette-button" onClick={open} aria-keyshortcuts={PALETTE_ARIA_KEYS}>
      {icon}
      <span className="palette-button-text">{t('palette.open', {}, locale)}</span>
      <span className="palette-button-keys" aria-hidden="true">
        {paletteKeys(locale)}
      </span>
    </UnstyledButton>
  );
}

/**
 * Goes to a page, a request that waits or another server, and signs out, all by typing. It shows where something can be
 * decided and decides nothing itself.
 *
 * @param waiting null: not known yet
 */
export function Palette({
  opened,
  open,
  close,
  path,
  waiting,
}: {
  opened: boolean;
  open: () => void;
  close: () => void;
  path: ConsolePath;
  waiting: readonly (WaitingEntry | Unreadable)[] | null;
}) {
  const me = useMe();
  /** Whoever went elsewhere begins at its title; whoever stayed goes on where they were. */
  const [left, setLeft] = useState(false);
  const servers = useOtherServers(opened);
  useEffect(() => {
    if (opened) setLeft(false);
  }, [opened]);
  usePaletteKey(open, close, opened);

  function act(chosen: PaletteAct): void {
    const isHere = chosen.do === 'show-page' && chosen.path === path && location.search === '';
    setLeft(!isHere);
    close();
    if (isHere) return;
    if (chosen.do === 'show-page') navigate(chosen.path);
    else if (chosen.do === 'show-request') navigate(`/?request=${chosen.code}`);
    else if (chosen.do === 'show-server') desktop?.showServer(chosen.origin);
    else void signOut(me.csrfToken);
    scrollTo({ top: 0 });
  }

  return (
    <Modal.Root
      opened={opened}
      onClose={close}
      returnFocus={!left}
      transitionProps={AT_ONCE}
      classNames={CLASSES}
      size="lg"
      yOffset="8dvh"
    >
      <Modal.Overlay />
      <Modal.Content aria-label={t('palette.title', {}, locale)} radius="lg">
        <Modal.Body p={0}>
          <Chooser
            locale={locale}
            find={(search) => paletteEntries({ role: me.role, waiting, servers }, search, locale)}
            choose={act}
          />
        </Modal.Body>
      </Modal.Content>
    </Modal.Root>
  );
}
