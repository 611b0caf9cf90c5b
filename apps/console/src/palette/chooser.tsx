import { IconArrowRight, IconLogout, IconServer, IconTerminal2 } from '@tabler/icons-react';
import { type KeyboardEvent, useEffect, useId, useState } from 'react';
import { type Locale, t } from '#shared/messages.ts';
import { PAGES } from '../pages.tsx';
import { PALETTE_GROUPS, type PaletteAct, type PaletteEntry } from './entries.ts';

/** The entry that is chosen by Enter: the one with this id, or the first. */
const indexOf = (entries: readonly PaletteEntry[], id: string | null): number =>
  Math.max(
    0,
    entries.findIndex((entry) => entry.id === id),
  );

function EntryIcon({ act }: { act: PaletteAct }) {
  const Icon =
    act.do === 'show-page'
      ? PAGES[act.path].icon
      : { 'show-request': IconTerminal2, 'show-server': IconServer, 'sign-out': IconLogout }[act.do];
  return <Icon size={20} stroke={1.75} aria-hidden="true" className="palette-icon" />;
}

/**
 * A field and the list of what it finds: a combobox with a listbox, as ARIA has them. The focus stays in the field; the
 * arrow keys move through the list.
 */
export function Chooser({
  locale,
  find,
  choose,
}: {
  locale: Locale;
  find: (search: string) => PaletteEntry[];
  choose: (act: PaletteAct) => void;
}) {
  const id = useId();
  const [search, setSearch] = useState('');
  const [activeId, setActiveId] = useState<string | null>(null);
  const entries = find(search);
  const active = indexOf(entries, activeId);
  const optionId = (index: number) => `${id}-option-${index}`;
  const activeOption = entries.length === 0 ? undefined : optionId(active);
  useEffect(() => {
    if (activeOption) document.getElementById(activeOption)?.scrollIntoView({ block: 'nearest' });
  }, [activeOption]);

  function onKeyDown(event: KeyboardEvent): void {
    // What is still being composed is not typed yet.
    if (event.nativeEvent.isComposing) return;
    const steps = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (steps !== undefined) {
      event.preventDefault();
      if (entries.length > 0) setActiveId(entries[(active + steps + entries.length) % entries.length]!.id);
    } else if (event.key === 'Enter') {
      event.preventDefault();
      // A key that is held down must not go on choosing in what it has opened.
      const entry = entries[active];
      if (entry && !event.repeat) choose(entry.act);
    }
  }

  return (
    <>
      <input
        className="palette-input"
        type="text"
        role="combobox"
        aria-label={t('palette.title', {}, locale)}
        aria-expanded={entries.length > 0}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={activeOption}
        aria-describedby={`${id}-keys`}
        placeholder={t('palette.placeholder', {}, locale)}
        value={search}
        maxLength={200}
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
        data-autofocus
        onChange={(event) => {
          setSearch(event.currentTarget.value);
          setActiveId(null);
        }}
        onKeyDown={onKeyDown}
      />
      <div className="palette-list" role="listbox" id={`${id}-list`} aria-label={t('palette.title', {}, locale)}>
        {PALETTE_GROUPS.filter((group) => entries.some((entry) => entry.group === group)).map((group) => (
          // biome-ignore lint/a11y/useSemanticElements: a fieldset is no part of a listbox.
          <div key={group} role="group" aria-labelledby={`${id}-${group}`}>
            <div className="palette-heading" id={`${id}-${group}`} role="presentation">
              {t(`palette.${group}`, {}, locale)}
            </div>
            {entries.map((entry, index) =>
              entry.group === group ? (
                // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the field.
                // biome-ignore lint/a11y/useFocusableInteractive: the focus stays in the field.
                <div
                  key={entry.id}
                  id={optionId(index)}
                  role="option"
                  aria-selected={index === active}
                  className="palette-option"
                  onMouseMove={() => setActiveId(entry.id)}
                  // The field keeps the focus.
                  onMouseDown={(event) => event.preventDefault()}
                  onClick={() => choose(entry.act)}
                >
                  <EntryIcon act={entry.act} />
                  <span className="palette-text">
                    <span
                      className={group === 'requests' ? 'palette-label mono' : 'palette-label'}
                      lang={group === 'pages' ? 'en' : undefined}
                    >
                      {entry.label}
                    </span>
                    {entry.detail && <span className="palette-detail">{entry.detail}</span>}
                  </span>
                  <IconArrowRight size={16} aria-hidden="true" className="palette-arrow" />
                </div>
              ) : null,
            )}
          </div>
        ))}
      </div>
      <p className={entries.length > 0 ? 'sr-only' : 'palette-nothing'} role="status">
        {entries.length > 0 ? t('palette.found', { n: entries.length }, locale) : t('palette.nothing', {}, locale)}
      </p>
      <p className="palette-keys" id={`${id}-keys`}>
        {t('palette.keys', {}, locale)}
      </p>
    </>
  );
}
