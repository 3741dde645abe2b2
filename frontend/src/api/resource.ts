import { useEffect, useMemo, useSyncExternalStore } from 'react'
import { Store } from '@/lib/store'
import type { Channel, Handlers, LiveClient, Params } from './live'
import { useConnection, useLiveClient, useNow } from './live-context'
import type { ApiErrorBody } from './types'

/** A live view: the newest data, when it came, and what went wrong since. */
export type Live<T> = {
  data: T | null
  /** The server's clock at the newest frame. */
  at: string
  /** The browser's clock at the newest frame. */
  receivedAt: number | null
  error: ApiErrorBody | null
  /** Frames this page lost, in all. */
  lost: number
}

const empty = { data: null, at: '', receivedAt: null, error: null, lost: 0 } as const

/** Turns frames of one channel into the newest whole value. */
export type Fold<T> = {
  snapshot: (data: unknown) => T
  delta: (before: T, data: unknown) => T
}

/**
 * Subscribes a store to a channel.
 */
export function openResource<T>(
  client: LiveClient,
  channel: Channel,
  params: Params | undefined,
  fold: Fold<T>,
): { store: Store<Live<T>>; close: () => void } {
  const store = new Store<Live<T>>(empty)
  const patch = (change: Partial<Live<T>>) => store.set({ ...store.get(), ...change })
  const handlers: Handlers = {
    snapshot: (data, at) => patch({ data: fold.snapshot(data), at, receivedAt: Date.now(), error: null }),
    delta: (data, at) => {
      const before = store.get().data
      if (before !== null) patch({ data: fold.delta(before, data), at, receivedAt: Date.now(), error: null })
    },
    gap: (lost) => patch({ lost: store.get().lost + lost }),
    error: (error) => patch({ error }),
    end: (reason) => patch({ error: { code: 'unavailable', message: reason } }),
  }
  return { store, close: client.subscribe(channel, params, handlers) }
}

/** Subscriptions in use: pages and the frame that ask for the same share one. */
const shared = new WeakMap<LiveClient, Map<string, { store: Store<Live<unknown>>; close: () => void; users: number }>>()

/** Joins a subscription or begins it; the function given back leaves it. */
function join<T>(client: LiveClient, channel: Channel, key: string, fold: Fold<T>): { store: Store<Live<T>>; leave: () => void } {
  const all = shared.get(client) ?? new Map()
  shared.set(client, all)
  const name = `${channel} ${key}`
  const entry = all.get(name) ?? { ...openResource(client, channel, JSON.parse(key) as Params, fold), users: 0 }
  all.set(name, entry)
  entry.users++
  return {
    store: entry.store as Store<Live<T>>,
    leave: () => {
      if (--entry.users > 0) return
      all.delete(name)
      entry.close()
    },
  }
}

/** The newest value of a channel; `params` null holds no subscription. */
export function useLiveResource<T>(channel: Channel, params: Params | null, fold: Fold<T>): Live<T> {
  const client = useLiveClient()
  const key = params === null ? null : JSON.stringify(params)
  const store = useMemo(() => new Store<Live<T>>(empty), [])
  useEffect(() => {
    if (key === null) return
    const joined = join(client, channel, key, fold)
    // What another set of parameters showed stays until the first frame of the new one.
    const copy = () => {
      const next = joined.store.get()
      store.set(next.data === null ? { ...store.get(), error: next.error } : next)
    }
    const unsubscribe = joined.store.subscribe(copy)
    copy()
    return () => {
      unsubscribe()
      joined.leave()
    }
  }, [client, channel, key, fold, store])
  return useSyncExternalStore(store.subscribe, store.get)
}

/** The same for data that is asked for again and again: two answers that did not come. */
export function useLateness(dataUpdatedAt: number, everyMs: number): number | null {
  return useStaleness(dataUpdatedAt > 0 ? dataUpdatedAt : null, 2 * everyMs + 1500)
}

/**
 * The age in seconds of data that has gone stale, null while it is fresh. Two
 * missed ticks make it stale; the age keeps counting.
 */
export function useStaleness(receivedAt: number | null, toleratedMs = 2500): number | null {
  const now = useNow(1000)
  const { state } = useConnection()
  if (receivedAt === null || state === 'paused') return null
  const age = now - receivedAt
  return age > toleratedMs ? age / 1000 : null
}
