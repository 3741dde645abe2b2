/**
 * The HTTP and live contract, as the server's Go structs write it, a file a
 * subject. Times are RFC 3339; every number has its unit in its name; lists
 * are never null.
 */

export type * from './alerts'
export type * from './config'
export type * from './dashboards'
export type * from './graph'
export type * from './inventory'
export type * from './mesh'
export type * from './nodes'
export type * from './overview'
export type * from './status'
export type * from './tap'
export type * from './traces'
