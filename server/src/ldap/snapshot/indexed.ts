import { attributeId } from '../schema/schema.ts';

const ids = (names: string): number[] => names.split(' ').map(attributeId);

/** Attributes whose values can be looked up: everything that sssd, nslcd and sudo filter on, and what names entries. */
export const EQUALITY_INDEXED = new Set(
  ids(
    'uid cn uidNumber gidNumber memberUid member memberOf mail sudoUser sudoHost entryUUID ou o dc ' +
      'ipHostNumber ipNetworkNumber ipServicePort ipServiceProtocol automountKey automountMapName nisMapName ' +
      'nisNetgroupTriple memberNisNetgroup',
  ),
);

/** Attributes whose keys are kept in order as well, so that `x*` finds them. */
export const PREFIX_INDEXED = ids('uid cn mail memberUid sudoUser sudoHost nisNetgroupTriple');
