import { cleanup, configure } from '@testing-library/react'
import { afterEach, vi } from 'vitest'

afterEach(cleanup)

// What is asserted is that something comes, not how fast: machines of a CI are slow.
configure({ asyncUtilTimeout: 20_000 })

// No test speaks to a network; one that needs answers stubs its own.
vi.stubGlobal('fetch', () => Promise.reject(new TypeError('no network in tests')))
