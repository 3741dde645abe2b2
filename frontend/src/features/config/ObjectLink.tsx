import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { objectPath } from './url'

/** A link to an object, at a line of its file where one is known. */
export function ObjectLink({ object, line, children }: { object: string; line?: number; children: ReactNode }) {
  return (
    <Link to="/config/$" params={{ _splat: objectPath(object) }} search={(line ? { line: String(line) } : {}) as never}>
      {children}
    </Link>
  )
}
