import { useLayoutEffect, useRef, useState } from 'react'
import type { RefObject } from 'react'

/** useWidth measures an element's content width; 0 before the first layout. */
export function useWidth<E extends HTMLElement>(): [RefObject<E | null>, number] {
  return useSize<E>((el) => el.clientWidth)
}

/** useHeight measures an element's height, rounded up; 0 while it is not there. */
export function useHeight<E extends HTMLElement>(): [RefObject<E | null>, number] {
  return useSize<E>((el) => Math.ceil(el.getBoundingClientRect().height))
}

function useSize<E extends HTMLElement>(read: (el: E) => number): [RefObject<E | null>, number] {
  const ref = useRef<E>(null)
  const how = useRef(read)
  const [size, setSize] = useState(0)
  useLayoutEffect(() => {
    const el = ref.current
    if (!el) return
    const measure = () => setSize(how.current(el))
    measure()
    const watch = new ResizeObserver(measure)
    watch.observe(el)
    return () => watch.disconnect()
  }, [])
  return [ref, size]
}
