package org.unetrpp.inference;

import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.TypeAdapter;
import com.google.gson.TypeAdapterFactory;
import com.google.gson.reflect.TypeToken;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonWriter;
import java.io.IOException;
import java.lang.reflect.RecordComponent;
import java.util.Arrays;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Reads records from JSON objects that have every member of theirs, where Gson alone would fill in
 * 0 or null.
 */
final class CompleteRecords implements TypeAdapterFactory {
  /**
   * What records may do without: the members of {@code PreprocessingPlan} and {@code Provenance}
   * that may be null.
   */
  private static final Set<String> OPTIONAL = Set.of("targetSpacing", "statistics", "attribution");

  @Override
  public <T> @Nullable TypeAdapter<T> create(Gson gson, TypeToken<T> type) {
    if (!type.getRawType().isRecord()) {
      return null; // leaves the type to other factories
    }
    return new Adapter<>(
        type.getRawType(), gson.getDelegateAdapter(this, type), gson.getAdapter(JsonElement.class));
  }

  private static final class Adapter<T> extends TypeAdapter<T> {
    private final Class<?> type;
    private final TypeAdapter<T> plain;
    private final TypeAdapter<JsonElement> tree;

    Adapter(Class<?> type, TypeAdapter<T> plain, TypeAdapter<JsonElement> tree) {
      this.type = type;
      this.plain = plain;
      this.tree = tree;
    }

    @Override
    public void write(JsonWriter out, T value) throws IOException {
      plain.write(out, value);
    }

    @Override
    public T read(JsonReader in) throws IOException {
      JsonElement element = tree.read(in);
      if (!(element instanceof JsonObject object)) {
        throw new JsonParseException("%s, expected an object".formatted(element));
      }
      for (RecordComponent component : type.getRecordComponents()) {
        check(component, object);
      }
      return plain.fromJsonTree(object);
    }

    private static void check(RecordComponent component, JsonObject object) {
      String name = component.getName();
      JsonElement member = object.get(name);
      if (member == null || member.isJsonNull()) {
        if (!OPTIONAL.contains(name)) {
          throw new JsonParseException("it has no '%s'".formatted(name));
        }
      } else if (component.getType().isEnum()) {
        String[] names =
            Arrays.stream(component.getType().getEnumConstants())
                .map(Object::toString)
                .toArray(String[]::new);
        if (!member.isJsonPrimitive() || !Arrays.asList(names).contains(member.getAsString())) {
          throw new JsonParseException(
              "'%s' is %s, expected one of %s".formatted(name, member, String.join(", ", names)));
        }
      }
    }
  }
}
