/** What all subjects speak of. */

export type Workload = { cluster?: string; namespace: string; name: string; app?: string; version?: string }
export type Service = { host: string; namespace: string; name: string }
export type Protocol = 'http' | 'grpc' | 'tcp'
export type HealthState = 'ok' | 'warn' | 'fail' | 'idle' | 'unknown'
export type HealthReason = { code: string; text: string; since?: string }
export type Health = { state: HealthState; reasons: HealthReason[] }
export type ApiErrorBody = { code: string; message: string; hint?: string }
