/** An inclusive range of numbers. */
export type NumberRange = readonly [from: number, to: number];

/** How the directory turns what a source says into entries. Names follow the settings `IDENTREE_LDAP_*`. */
export interface DirectorySettings {
  /** RFC 4514 suffix of the tree. */
  readonly baseDn: string;
  /** Issuer of records that name none: the one that people sign in with. */
  readonly issuer: string;
  /** False in bridge mode: people and groups live in another directory, only sudo rules are served. */
  readonly people: boolean;
  readonly sudoSource: 'claims' | 'store' | 'both';
  /** Serve `member`, `memberOf` beside `memberUid`, for clients with `ldap_schema = rfc2307bis`. */
  readonly rfc2307bis: boolean;
  /** Serve `ou=identree-hosts`, the identities that hosts bind with. */
  readonly hostIdentities: boolean;
  /** Serve host groups as netgroups. */
  readonly netgroups: boolean;
  readonly names: {
    readonly policy: 'strict' | 'fold' | 'localpart' | 'preserve';
    /** Never served, beside the built-in list; lower case. */
    readonly reserved: readonly string[];
    /** How long a name that its owner left is kept from others, milliseconds. */
    readonly quarantineMs: number;
  };
  readonly ids: {
    readonly uidBase: number;
    readonly gidBase: number;
    readonly max: number;
    readonly exclude: readonly NumberRange[];
    /** Numbers that a claim may ask for; null: none. */
    readonly claimRange: NumberRange | null;
  };
  readonly accounts: {
    readonly defaultShell: string;
    /** `%s` is the user name. */
    readonly defaultHome: string;
    /** Null: any absolute path of plain characters. */
    readonly allowedShells: readonly string[] | null;
  };
  readonly access: {
    /** `allow`: people whose groups say nothing about hosts may use all of them. */
    readonly byDefault: 'deny' | 'allow';
    /** Whether a claim may say "all hosts". */
    readonly allowAll: boolean;
  };
  readonly sudo: SudoSettings;
}

export interface SudoSettings {
  /** `false`: no rule says `!authenticate`; `true`: every rule does; `claims`: those that ask for it. */
  readonly noAuthenticate: 'false' | 'true' | 'claims';
  /** Minutes. */
  readonly maxTimestampTimeout: number;
  /** One bad value drops the whole rule instead of the value. */
  readonly strict: boolean;
  /** `expand`: to enrolled hosts that match; `raw`: as written, which sssd asks for only with ldap_sudo_include_regexp. */
  readonly hostWildcards: 'off' | 'expand' | 'raw';
  readonly userStyle: 'users' | 'group';
  readonly allowNegated: boolean;
  readonly allowSudoedit: boolean;
  readonly allowRegex: boolean;
  /** SELinux and AppArmor options. */
  readonly allowMac: boolean;
  /** Names that `env_keep+=` and `env_check+=` may carry. */
  readonly environment: readonly string[];
  /** Options of `cn=defaults`; null: no such entry. */
  readonly defaults: readonly string[] | null;
}

const DAY_MS = 86_400_000;

/** What holds when nothing is configured. The base DN has no default. */
export const DEFAULT_SETTINGS: Omit<DirectorySettings, 'baseDn' | 'issuer'> = {
  people: true,
  sudoSource: 'claims',
  rfc2307bis: true,
  hostIdentities: false,
  netgroups: false,
  names: { policy: 'fold', reserved: [], quarantineMs: 30 * DAY_MS },
  ids: {
    uidBase: 200_000,
    gidBase: 200_000,
    max: 2_147_483_647,
    // systemd's dynamic users, the traditional subuid range of the first user, containers.
    exclude: [
      [61_184, 65_519],
      [100_000, 165_535],
      [524_288, 1_879_048_191],
    ],
    claimRange: null,
  },
  accounts: { defaultShell: '/bin/bash', defaultHome: '/home/%s', allowedShells: null },
  access: { byDefault: 'deny', allowAll: false },
  sudo: {
    noAuthenticate: 'false',
    maxTimestampTimeout: 0,
    strict: false,
    hostWildcards: 'expand',
    userStyle: 'users',
    allowNegated: false,
    allowSudoedit: false,
    allowRegex: false,
    allowMac: false,
    environment: ['LANG', 'LC_*', 'TZ', 'COLORS'],
    // Without it sudo's ticket of 15 minutes would run the next command unapproved.
    defaults: ['timestamp_timeout=0'],
  },
};
