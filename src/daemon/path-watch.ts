/**
 * Says when a path may lead to something else than before, or to something that was written: each folder on the way to it is
 * watched for the entry that the way goes by, where links lead as well. Any of them may be exchanged.
 */

import { type FSWatcher, watch } from "node:fs";
import { basename } from "node:path";
import { isOutOfSight, type Waypoint, waypointsOf } from "./waypoints.js";

interface Folder {
  readonly watcher: FSWatcher;
  /** By the name of an entry, the paths that go by it. */
  readonly pathsBy: Map<string, Set<string>>;
}

export class PathWatch {
  private readonly folders = new Map<string, Folder>();
  private readonly ways = new Map<string, readonly Waypoint[]>();

  /** @param changed told of a path that goes by what has changed: by its end, or by an entry on the way to it */
  constructor(private readonly changed: (path: string, isOnTheWay: boolean) => void) {}

  /** Watches the path, or finds out anew which way it goes. */
  follow(path: string): void {
    const before = this.ways.get(path) ?? [];
    const now = waypointsOf(path);
    for (const point of now) this.add(point, path);
    const kept = new Set(now.map(({ folder, name }) => `${folder}/${name}`));
    for (const point of before) if (!kept.has(`${point.folder}/${point.name}`)) this.remove(point, path);
    this.ways.set(path, now);
  }

  forget(path: string): void {
    for (const point of this.ways.get(path) ?? []) this.remove(point, path);
    this.ways.delete(path);
  }

  get paths(): string[] {
    return [...this.ways.keys()];
  }

  /** Folders may be others under the same names. The new watchers are there before the old ones go. */
  renew(): void {
    const before = [...this.folders.values()];
    this.folders.clear();
    const paths = this.paths;
    this.ways.clear();
    for (const path of paths) this.follow(path);
    for (const { watcher } of before) watcher.close();
  }

  close(): void {
    for (const { watcher } of this.folders.values()) watcher.close();
    this.folders.clear();
    this.ways.clear();
  }

  private add({ folder, name }: Waypoint, path: string): void {
    const there = this.folders.get(folder) ?? this.open(folder);
    if (!there) return;
    const paths = there.pathsBy.get(name);
    if (paths) paths.add(path);
    else there.pathsBy.set(name, new Set([path]));
  }

  private open(folder: string): Folder | undefined {
    const pathsBy = new Map<string, Set<string>>();
    try {
      const watcher = watch(folder, (_event, name) => this.onEvent(folder, name, pathsBy));
      watcher.on("error", () => this.onEvent(folder, null, pathsBy));
      const opened = { watcher, pathsBy };
      this.folders.set(folder, opened);
      return opened;
    } catch (error) {
      if (!isOutOfSight(error)) throw error;
      return undefined;
    }
  }

  /** Without an entry's name, or with its own, the folder itself has been moved, removed or hidden. */
  private onEvent(folder: string, name: string | null, pathsBy: Folder["pathsBy"]): void {
    const isFolder = name === null || name === basename(folder);
    const paths = isFolder ? [...pathsBy.values()].flatMap((some) => [...some]) : [...(pathsBy.get(name) ?? [])];
    for (const path of new Set(paths)) this.changed(path, isFolder || !this.isEnd(path, folder, name));
  }

  private isEnd(path: string, folder: string, name: string): boolean {
    const end = this.ways.get(path)?.at(-1);
    return end?.folder === folder && end.name === name;
  }

  private remove({ folder, name }: Waypoint, path: string): void {
    const there = this.folders.get(folder);
    const paths = there?.pathsBy.get(name);
    if (!there || !paths?.delete(path) || paths.size > 0) return;
    there.pathsBy.delete(name);
    if (there.pathsBy.size > 0) return;
    this.folders.delete(folder);
    there.watcher.close();
  }
}
