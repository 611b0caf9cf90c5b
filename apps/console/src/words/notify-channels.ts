import type { ChannelSettings, NotifyChannel } from '../server/api.ts';

/** How a kind of channel is called, whoever has set it up. */
export const KIND_TITLES: Readonly<Record<NotifyChannel['kind'], string>> = {
  webhook: 'Webhook',
  slack: 'Slack',
  discord: 'Discord',
  email: 'E-mail',
  ntfy: 'ntfy',
  telegram: 'Telegram',
  apprise: 'Apprise',
  custom: 'Command',
  web_push: 'Browser',
};

/** Languages of notifications, each in its own words. */
export const LANGUAGES: Readonly<Record<NonNullable<ChannelSettings['webhook']['locale']>, string>> = {
  en: 'English',
  de: 'Deutsch',
  es: 'Español',
  fr: 'Français',
  ja: '日本語',
  ko: '한국어',
  pt: 'Português',
  zh: '中文',
};
