/**
 * What the aliases of a YAML document stand for, in time proportional to what is written. The yaml package looks through the
 * whole document for each of them, and for each key of a map through the keys before it.
 */

import { type Alias, type Document, isAlias, isCollection, isNode, isPair, isScalar, type Node } from "yaml";
import { maxLevels, TooDeepError } from "./yaml-text.js";

/** Nodes (values, keys, lists, maps) that a file's aliases may add to those that are written. */
export const maxAddedNodes = 2_000_000;

export interface AliasFault {
  readonly kind: "no anchor" | "own anchor" | "too many";
  readonly alias: Alias;
  /** What the file's aliases add to it, if there were no limit. */
  readonly addedNodes: number;
}

export interface Resolved {
  /** The first of each kind. */
  readonly faults: readonly AliasFault[];
  /** Byte offsets of keys that stand in the same map before. */
  readonly repeatedKeys: readonly number[];
}

/** Of a node with everything below it, aliases as what they stand for. */
interface Extent {
  readonly nodes: number;
  readonly levels: number;
}

/**
 * Has each alias of a document lead straight to what it stands for. If there are faults, the document must not be converted.
 *
 * @throws TooDeepError when it is nested too deeply with what the aliases stand for
 */
export function resolveAliases(document: Document.Parsed): Resolved {
  const walk = new Walk();
  if (document.contents) walk.extentOf(document.contents, 1);
  return walk;
}

class Walk implements Resolved {
  readonly faults: AliasFault[] = [];
  readonly repeatedKeys: number[] = [];
  private addedNodes = 0;
  /** The last node so far with an anchor of that name; without an extent while it is being walked. */
  private readonly anchors = new Map<string, { readonly node: Node; extent?: Extent }>();

  extentOf(node: unknown, level: number): Extent {
    if (isAlias(node)) return this.follow(node, level);
    if (!isCollection(node)) {
      const extent = { nodes: 1, levels: 1 };
      if (isScalar(node) && node.anchor !== undefined) this.anchors.set(node.anchor, { node: node as Node, extent });
      return extent;
    }
    const anchor: { node: Node; extent?: Extent } = { node };
    if (node.anchor !== undefined) this.anchors.set(node.anchor, anchor);
    let nodes = 1;
    let deepest = 0;
    const keys = new Set<unknown>();
    const add = (child: unknown) => {
      const extent = this.extentOf(child, level + 1);
      nodes += extent.nodes;
      deepest = Math.max(deepest, extent.levels);
    };
    for (const item of node.items) {
      if (!isPair(item)) {
        add(item);
        continue;
      }
      if (isScalar(item.key)) {
        if (keys.has(item.key.value)) this.repeatedKeys.push(item.key.range?.[0] ?? 0);
        keys.add(item.key.value);
      }
      add(item.key);
      if (isNode(item.value)) add(item.value);
    }
    const extent = { nodes, levels: deepest + 1 };
    anchor.extent = extent;
    return extent;
  }

  private follow(alias: Alias, level: number): Extent {
    const target = this.anchors.get(alias.source);
    if (!target?.extent) {
      this.fault(target ? "own anchor" : "no anchor", alias);
      return { nodes: 1, levels: 1 };
    }
    const { node, extent } = target;
    if (level + extent.levels - 1 > maxLevels) throw new TooDeepError();
    alias.resolve = (() => node) as Alias["resolve"];
    alias.toJSON = (_, context) => context?.anchors.get(node)?.res ?? node.toJSON(null, context);
    this.addedNodes += extent.nodes;
    if (this.addedNodes > maxAddedNodes) this.fault("too many", alias);
    return extent;
  }

  private fault(kind: AliasFault["kind"], alias: Alias): void {
    const walk = this;
    if (this.faults.some((fault) => fault.kind === kind)) return;
    this.faults.push({
      kind,
      alias,
      get addedNodes() {
        return walk.addedNodes;
      },
    });
  }
}
