import { useEffect, useRef } from 'react'
import { useConnection } from '@/api/live-context'
import { announce } from '@/lib/shell'

/** Says once that the connection is lost, and once that it is back; ages and attempts stand in the foot. */
export function useConnectionNews(): void {
  const { state } = useConnection()
  const lost = useRef(false)
  useEffect(() => {
    if (state === 'waiting' && !lost.current) {
      lost.current = true
      announce('Connection lost. What is shown is the last that was known.')
    } else if (state === 'open' && lost.current) {
      lost.current = false
      announce('Connected again.')
    }
  }, [state])
}
