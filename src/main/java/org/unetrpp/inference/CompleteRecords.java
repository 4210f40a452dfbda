package org.unetrpp.inference;

import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonPrimitive;
import com.google.gson.TypeAdapter;
import com.google.gson.TypeAdapterFactory;
import com.google.gson.reflect.TypeToken;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import com.google.gson.stream.JsonWriter;
import java.io.IOException;
import java.lang.reflect.RecordComponent;
import java.math.BigDecimal;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Reads records from JSON objects that have every member of theirs, where Gson alone would fill in
 * 0 or null. What is wrong is told with the way to it, such as {@code preprocessing.channels[0]: it
 * has no 'useMask'}.
 */
public final class CompleteRecords implements TypeAdapterFactory {
  /**
   * What records may do without: the members of {@code PreprocessingPlan} and {@code Provenance}
   * that may be null.
   */
  private static final Set<String> OPTIONAL = Set.of("targetSpacing", "statistics", "attribution");

  /** What is done with members that a record does not have. */
  public enum Unknown {
    /** They do not count: a later version may have written them. */
    IGNORED,
    /** They are refused: a person may have misspelled them. */
    REFUSED
  }

  private final Unknown unknown;

  /** Reads members that a record does not have as told. */
  public CompleteRecords(Unknown unknown) {
    this.unknown = unknown;
  }

  @Override
  @SuppressWarnings("unchecked") // the type was compared
  public <T> @Nullable TypeAdapter<T> create(Gson gson, TypeToken<T> type) {
    if (type.getRawType() == int.class || type.getRawType() == Integer.class) {
      return (TypeAdapter<T>) new WholeNumbers();
    }
    if (!type.getRawType().isRecord()) {
      return null; // leaves the type to other factories
    }
    return new Adapter<>(gson, type.getRawType(), gson.getDelegateAdapter(this, type), unknown);
  }

  /** What is wrong, and where below the object that is being read. */
  private static final class MisfitException extends JsonParseException {
    private static final long serialVersionUID = 1L;
    private final String way;
    private final String problem;

    MisfitException(String way, String problem) {
      super(way.isEmpty() ? problem : way + ": " + problem);
      this.way = way;
      this.problem = problem;
    }

    MisfitException under(String name) {
      boolean joined = name.isEmpty() || way.isEmpty() || way.startsWith("[");
      return new MisfitException(name + (joined ? "" : ".") + way, problem);
    }
  }

  /** Refuses fractions, which Gson alone would cut off. */
  private static final class WholeNumbers extends TypeAdapter<Integer> {
    @Override
    public void write(JsonWriter out, Integer value) throws IOException {
      out.value(value);
    }

    @Override
    public Integer read(JsonReader in) throws IOException {
      JsonToken token = in.peek();
      boolean text = token == JsonToken.NUMBER || token == JsonToken.STRING;
      String number = text ? in.nextString() : token.toString();
      try {
        return new BigDecimal(number).intValueExact();
      } catch (ArithmeticException | NumberFormatException e) {
        throw new JsonParseException("%s, expected a whole number".formatted(number), e);
      }
    }
  }

  private static final class Adapter<T> extends TypeAdapter<T> {
    private final Gson gson;
    private final Class<?> type;
    private final TypeAdapter<T> plain;
    private final Unknown unknown;

    Adapter(Gson gson, Class<?> type, TypeAdapter<T> plain, Unknown unknown) {
      this.gson = gson;
      this.type = type;
      this.plain = plain;
      this.unknown = unknown;
    }

    @Override
    public void write(JsonWriter out, T value) throws IOException {
      plain.write(out, value);
    }

    @Override
    public T read(JsonReader in) throws IOException {
      String place = in.getPath().substring(1); // without $, that of an element in its list
      JsonElement element = gson.getAdapter(JsonElement.class).read(in);
      try {
        return record(element);
      } catch (MisfitException e) {
        throw place.isEmpty() ? e : e.under(place);
      }
    }

    private T record(JsonElement element) {
      if (!(element instanceof JsonObject object)) {
        throw misfit("%s, expected an object".formatted(element));
      }
      for (RecordComponent component : type.getRecordComponents()) {
        check(component, object);
      }
      if (unknown == Unknown.REFUSED) {
        refuseUnknown(object);
      }
      try {
        return plain.fromJsonTree(object);
      } catch (RuntimeException e) { // what the constructor refuses
        Throwable cause = e.getCause() == null ? e : e.getCause();
        throw new MisfitException("", String.valueOf(cause.getMessage()));
      }
    }

    private void refuseUnknown(JsonObject object) {
      List<String> known =
          Arrays.stream(type.getRecordComponents()).map(RecordComponent::getName).toList();
      for (String name : object.keySet()) {
        if (!known.contains(name)) {
          throw misfit(
              "it has an unknown '%s'; known are %s".formatted(name, String.join(", ", known)));
        }
      }
    }

    private void check(RecordComponent component, JsonObject object) {
      String name = component.getName();
      JsonElement member = object.get(name);
      if (member == null || member.isJsonNull()) {
        if (!OPTIONAL.contains(name)) {
          throw misfit("it has no '%s'".formatted(name));
        }
      } else if (component.getType().isEnum()) {
        requireOneOf(component.getType().getEnumConstants(), name, member);
      } else {
        read(component, member);
      }
    }

    private static void requireOneOf(Object[] constants, String name, JsonElement member) {
      List<String> names = Arrays.stream(constants).map(Object::toString).toList();
      if (!member.isJsonPrimitive() || !names.contains(member.getAsString())) {
        throw misfit(
            "'%s' is %s, expected one of %s".formatted(name, member, String.join(", ", names)));
      }
    }

    /** Reads a member by itself, so that what is wrong in it is told with its name. */
    private void read(RecordComponent component, JsonElement member) {
      String name = component.getName();
      Class<?> wanted = component.getType();
      boolean fits =
          switch (member) {
            case JsonPrimitive value when wanted == boolean.class -> value.isBoolean();
            case JsonPrimitive value when wanted == double.class -> value.isNumber();
            default -> wanted != boolean.class && wanted != double.class;
          };
      if (!fits) {
        throw misfit(
            "'%s' is %s, expected %s"
                .formatted(name, member, wanted == boolean.class ? "true or false" : "a number"));
      }
      try {
        var _ = gson.getAdapter(TypeToken.get(component.getGenericType())).fromJsonTree(member);
      } catch (MisfitException e) {
        throw e.under(name);
      } catch (RuntimeException e) {
        String problem = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
        throw new MisfitException(name, problem);
      }
    }

    private static MisfitException misfit(String problem) {
      return new MisfitException("", problem);
    }
  }
}
