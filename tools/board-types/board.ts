// What a board's file may hold: Grafana's own types, made strict where Grafana leaves them open.
import type * as grafana from '@grafana/schema';
import type { Options as HeatOptions, FieldConfig as HeatCustom } from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type { Options as TableOptions, FieldConfig as TableCustom } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type { Options as LinesOptions, FieldConfig as LinesCustom } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

/** As JSON has it: an enum's values instead of its members. */
type Json<T> = T extends string
  ? `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends (infer Item)[]
      ? Json<Item>[]
      : T extends object
        ? { [Key in keyof T]: Json<T[Key]> }
        : T;

/** The types of data sources are not in the package. This is what Grafana's own for Prometheus takes. */
interface Target {
  refId: string;
  datasource: { type: string; uid: string };
  expr: string;
  legendFormat: string;
  editorMode: 'code' | 'builder';
  format: 'time_series' | 'table' | 'heatmap';
  instant: boolean;
  range: boolean;
  exemplar: boolean;
}

interface DataLink {
  title: string;
  url: string;
  targetBlank: boolean;
}

type Defaults<Custom> = Json<Omit<grafana.FieldConfig, 'custom' | 'links'>> & { custom?: Json<Custom>; links?: DataLink[] };

type Drawn<Type, Options, Custom> = Json<Omit<grafana.Panel, 'type' | 'targets' | 'options' | 'fieldConfig'>> & {
  type: Type;
  targets: Target[];
  options: Json<Options>;
  fieldConfig: { defaults: Defaults<Custom>; overrides: grafana.FieldConfigSource['overrides'] };
};

type Panel =
  | Json<Omit<grafana.RowPanel, 'panels'> & { panels: never[] }>
  | Drawn<'stat', StatOptions, never>
  | Drawn<'timeseries', LinesOptions, LinesCustom>
  | Drawn<'heatmap', HeatOptions, HeatCustom>
  | Drawn<'table', TableOptions, TableCustom>;

/** What Grafana's Prometheus takes of an annotation besides. */
type Annotation = Json<Omit<grafana.AnnotationQuery, 'target'>> & {
  target: { refId: string; expr: string };
  titleFormat: string;
  textFormat: string;
  tagKeys: string;
};

export type Board = Json<Omit<grafana.Dashboard, 'panels' | 'annotations'>> & {
  panels: Panel[];
  annotations: { list: Annotation[] };
};
