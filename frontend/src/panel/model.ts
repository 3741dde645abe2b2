/**
 * What we read of a Grafana dashboard: the files of our own generator, as they
 * come from api/v1/dashboards. Fields that only Grafana needs are left out.
 */
export type DashboardFile = {
  uid: string
  title: string
  description: string
  templating: { list: Variable[] }
  panels: PanelModel[]
}

export type Variable = { name: string; label: string; type: string; definition?: string }

export type PanelKind = 'timeseries' | 'stat' | 'table' | 'heatmap' | 'bargauge' | 'row'

export type PanelModel = {
  id: number
  type: PanelKind
  title: string
  description?: string
  gridPos: { x: number; y: number; w: number; h: number }
  targets?: Target[]
  /** The shortest step that has anything new. */
  interval?: string
  fieldConfig?: { defaults: FieldDefaults; overrides: Override[] }
  options?: { legend?: { calcs: string[]; sortBy?: string; sortDesc?: boolean }; sortBy?: { displayName: string; desc: boolean }[] }
  transformations?: { id: string; options: Organize }[]
}

export type Target = { refId: string; expr: string; legendFormat: string; format: string; instant: boolean }

export type FieldDefaults = {
  unit: string
  min?: number
  max?: number
  custom?: { stacking: { mode: string }; fillOpacity: number; thresholdsStyle: { mode: string } }
  thresholds: { steps: Step[] }
  mappings?: { options: Record<string, { text: string }> }[]
}

export type Step = { color: string; value: number | null }

export type Override = { matcher: { id: string; options: string }; properties: { id: string; value: unknown }[] }

/** Grafana's names of colours, as tokens of ours. */
const tokens: Partial<Record<string, string>> = { green: 'ok', blue: 'info', yellow: 'warn', orange: 'warn', red: 'fail', text: 'text-3' }

/** The token of a series' colour where the file gives it one, because it means something. */
export function fixedToken(panel: PanelModel, series: string): string | undefined {
  const color = panel.fieldConfig?.overrides.find((o) => o.matcher.options === series)?.properties.find((p) => p.id === 'color')
  return tokens[(color?.value as { fixedColor?: string } | undefined)?.fixedColor ?? '']
}

export type Organize = {
  excludeByName?: Record<string, boolean>
  indexByName?: Record<string, number>
  renameByName?: Record<string, string>
}

/** A titled row of panels. */
export type SectionModel = { title: string; panels: PanelModel[] }

/** Panels under the row that they follow. */
export function sectionsOf(file: DashboardFile): SectionModel[] {
  const sections: SectionModel[] = []
  for (const panel of file.panels) {
    const last = sections.at(-1)
    if (panel.type === 'row') sections.push({ title: panel.title, panels: [] })
    else if (last) last.panels.push(panel)
    else sections.push({ title: '', panels: [panel] })
  }
  return sections
}
