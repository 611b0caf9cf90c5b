/** Forms in which the UID map can be had; apart, because the command line names them before it loads the directory. */
export const UID_MAP_FORMAT_NAMES = ['json', 'csv', 'ldif', 'passwd'] as const;

export type UidMapFormatName = (typeof UID_MAP_FORMAT_NAMES)[number];
