import { useQuery } from '@tanstack/react-query'
import { labelValues } from '@/panel/fetch'
import type { Variable } from '@/panel/model'
import { type Choices, interpolate, parseDefinition, type Range } from '@/panel/query'
import { Button } from '@/ui/Button'
import { Icon } from '@/ui/Icon'
import { Menu, MenuCheck, MenuLine } from '@/ui/Menu'

const most = 200

/** One variable of a dashboard: all, or some of what the store knows. */
export function Choice({
  variable,
  choices,
  range,
  onChoose,
}: {
  variable: Variable
  choices: Choices
  range: Range
  onChoose: (values: string[]) => void
}) {
  const from = parseDefinition(variable.definition ?? '')
  const chosen = choices[variable.name] ?? []
  // An hour around: a workload that has just gone should still be there to choose.
  const hour = Math.floor(range.to / 300) * 300
  const match = from ? interpolate(from.match, choices, range, 60) : ''
  const values = useQuery({
    queryKey: ['label values', from?.label, match, hour],
    queryFn: ({ signal }) => labelValues(from!.label, match, { from: hour - 3600, to: hour + 600 }, signal),
    enabled: from !== null,
    staleTime: 30_000,
  })
  const known = values.data ?? []
  const list = [...new Set([...chosen, ...known.filter((v) => v !== '' && v !== 'unknown')])].sort()
  const label = chosen.length === 0 ? 'all' : chosen.length === 1 ? chosen[0] : `${chosen.length} chosen`
  return (
    <Menu
      trigger={
        <Button>
          <span className="t3">{variable.label}</span> {label}
          <Icon name="down" size={12} />
        </Button>
      }
    >
      <MenuCheck checked={chosen.length === 0} onChange={() => onChoose([])}>
        All
      </MenuCheck>
      <MenuLine />
      {list.slice(0, most).map((v) => (
        <MenuCheck
          key={v}
          keepOpen
          checked={chosen.includes(v)}
          onChange={(on) => onChoose(on ? [...chosen, v].sort() : chosen.filter((c) => c !== v))}
        >
          {v}
        </MenuCheck>
      ))}
    </Menu>
  )
}
