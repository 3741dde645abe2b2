import { createContext, useContext, useEffect, useState, useSyncExternalStore } from 'react'
import type { Connection, LiveClient } from './live'

export const LiveContext = createContext<LiveClient | null>(null)

export function useLiveClient(): LiveClient {
  const client = useContext(LiveContext)
  if (!client) throw new Error('BUG: useLiveClient outside of LiveContext')
  return client
}

export function useConnection(): Connection {
  const { connection } = useLiveClient()
  return useSyncExternalStore(connection.subscribe, connection.get)
}

/** A clock that ticks every `everyMs`, for ages in words. */
export function useNow(everyMs = 1000): number {
  const [now, setNow] = useState(() => Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs)
    return () => clearInterval(timer)
  }, [everyMs])
  return now
}
