import { useEffect, useState } from 'react'

/**
 * Work in turns: a page of two dozen charts would draw them all in one long
 * task. One thing is done per frame, those asked for first come first.
 */
const queue: (() => void)[] = []
let running = false

function next(): void {
  const work = queue.shift()
  if (!work) {
    running = false
    return
  }
  work()
  requestAnimationFrame(next)
}

/** Runs work in its own frame; the function given back calls it off. */
export function inTurn(work: () => void): () => void {
  queue.push(work)
  if (!running) {
    running = true
    requestAnimationFrame(next)
  }
  return () => {
    const at = queue.indexOf(work)
    if (at >= 0) queue.splice(at, 1)
  }
}

/**
 * A value as of its turn: answers that come together are not drawn together.
 * Until the first turn, and while `value` waits for its own, it is the one before.
 */
export function useInTurn<T>(value: T | null): T | null {
  const [shown, setShown] = useState<T | null>(null)
  useEffect(() => {
    if (value !== null) return inTurn(() => setShown(value))
  }, [value])
  return shown
}

/** How many of a number of parts are there: one at first, then one more each turn. */
export function useCountInTurn(all: number): number {
  const [count, setCount] = useState(1)
  useEffect(() => {
    if (count < all) return inTurn(() => setCount(count + 1))
  }, [count, all])
  return Math.min(count, all)
}

/** Places for frames of Grafana: each is a whole application, and six are enough at once. */
export const frames = slots(6)

/** A number of places, given in the order in which they were asked for. */
export function slots(size: number) {
  let free = size
  const waiting: (() => void)[] = []
  return {
    /** Calls back when there is a place; the function given back leaves it, or the queue for it. */
    want(granted: () => void): () => void {
      let held = false
      const take = () => {
        held = true
        granted()
      }
      if (free > 0) {
        free--
        take()
      } else waiting.push(take)
      return () => {
        const at = waiting.indexOf(take)
        if (at >= 0) waiting.splice(at, 1)
        if (!held) return
        held = false
        const first = waiting.shift()
        if (first) first()
        else free++
      }
    },
  }
}
